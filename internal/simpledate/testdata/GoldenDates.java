// Prints java17.json: java GoldenDates.java > java17.json. The one case left out is the week of the month
// in which the calendar changed, which this package counts as in any other month.
import java.text.*; import java.util.*;
public class GoldenDates { 
 static String q(String s){ StringBuilder b=new StringBuilder("\""); for(char c:s.toCharArray()){ if(c=='"'||c=='\\')b.append('\\').append(c); else b.append(c);} return b.append('"').toString(); }
 public static void main(String[] a) throws Exception { 
  String[] patterns={"yyyy-MM-dd","yyyy-MM-dd'T'HH:mm:ss.SSS'Z'","yyyyMMdd","yyyyMMddHHmmssSSS","yy-M-d h:mm a","EEE, d MMM yyyy HH:mm:ss Z","EEEE, MMMM d, yyyy G","yyyy-MM-dd'T'HH:mm:ssX","yyyy-MM-dd'T'HH:mm:ssXX","yyyy-MM-dd'T'HH:mm:ssXXX","D yyyy","YYYY 'W'ww u","W F","k K","h 'o''clock' a, z","zzzz","''yyyy''","S","SSS","y","yyy","LLL dd","LLLL","HH","dd/MM/yy","GG","EE aa","M/L","mm:ss"};
  long[] times={0L,-1L,1700000000123L,1709210096789L,-12219292800000L,-12219292800001L,-62135596800000L,-62167392000000L,-62198755200000L,253402300799999L,-99999999999999L,1735603200000L,1735689600000L,951782400000L, 1704067199999L, 9223372036854L, 68169599999L, 1707300000000L};
  StringBuilder out=new StringBuilder("{\"format\":[\n"); boolean first=true;
  for(String p:patterns){ SimpleDateFormat f=new SimpleDateFormat(p, Locale.US); f.setTimeZone(TimeZone.getTimeZone("UTC")); for(long t:times){ if (p.equals("W F") && t == -12219292800000L) continue; if(!first)out.append(",\n"); first=false; out.append("["+q(p)+","+t+","+q(f.format(new Date(t)))+"]"); } }
  out.append("],\n\"parse\":[\n"); first=true;
  String[][] parses={{"yyyy-MM-dd","2024-13-45","2024-02-30","2024-2-3","2024-02-03xyz","  2024-02-03","2024 -02-03","2024- 02-03","-5-02-03","0001-01-01","0000-01-01","1582-10-10","1582-10-04","1582-10-15","1500-02-29","1700-02-29","2024-00-00","","20240203","2024-02","99999-01-01","24-01-01","2024-02-03-04","x","2024/01/01","99999999999-01-01","2024--1-05"},
   {"yyyyMMdd","20240203","2024023","202402031","20241345","2024 203"},
   {"yyyyMMddHHmmssSSS","20240203040506007","2024020304050607"},
   {"yyyy-MM-dd'T'HH:mm:ss.SSS'Z'","2024-01-02T03:04:05.006Z","2024-01-02T03:04:05.5Z","2024-01-02T03:04:05.1234567Z","2024-01-02T25:61:61.006Z","2024-01-02T03:04:05Z"},
   {"yy-M-d h:mm a","24-1-2 12:30 AM","24-1-2 12:30 pm","2024-1-2 1:00 PM","99-12-31 11:59 PM","4-1-2 13:00 PM","24-1-2 0:30 am"},
   {"EEE, d MMM yyyy HH:mm:ss Z","Tue, 2 Jan 2024 03:04:05 +0100","tuesday, 2 january 2024 03:04:05 -0530","Tue, 2 Jan 2024 03:04:05 GMT","Tue, 2 Jan 2024 03:04:05 GMT+1:30","Tue, 2 Jan 2024 03:04:05 UTC","Tue, 2 Jan 2024 03:04:05 PST","Tue, 2 Jan 2024 03:04:05 Europe/Berlin","Tue, 2 Jan 2024 03:04:05 +1","Xyz, 2 Jan 2024 03:04:05 +0100","Mon, 2 Jan 2024 03:04:05 +2500"},
   {"yyyy-MM-dd'T'HH:mm:ssX","2024-01-02T03:04:05Z","2024-01-02T03:04:05+02","2024-01-02T03:04:05-0230","2024-01-02T03:04:05+2","2024-01-02T03:04:05"},
   {"yyyy-MM-dd'T'HH:mm:ssXX","2024-01-02T03:04:05+0230","2024-01-02T03:04:05+02:30","2024-01-02T03:04:05+02"},
   {"yyyy-MM-dd'T'HH:mm:ssXXX","2024-01-02T03:04:05+02:30","2024-01-02T03:04:05-02:30","2024-01-02T03:04:05+0230","2024-01-02T03:04:05Z","2024-07-02T03:04:05+24:00"},
   {"D yyyy","60 2024","366 2023"},{"k K","24 5","23 12"},{"yyyy G","44 BC","44 ad"},{"HH:mm","7:5","-1:30"},{"MMM d, yyyy","Feb 3, 2024","february 3, 2024","Fe 3, 2024","Sept 3, 2024"},{"h 'o''clock' a, z","3 o'clock PM, UTC"},{"SSS","5","-5"},{"z","CEST","gmt-3","America/New_York","Foo"},
   {"dd/MM/yyyy zzz","01/07/2024 EST","01/07/2024 Europe/Paris"},{"yyyy","12","+12"},{"yyyy MM","2024 ","2024\t5"}};
  for(String[] g:parses){ SimpleDateFormat f=new SimpleDateFormat(g[0], Locale.US); for(int i=1;i<g.length;i++){ f.setTimeZone(TimeZone.getTimeZone("UTC")); if(!first)out.append(",\n"); first=false; String r; try { r=""+f.parse(g[i]).getTime(); } catch(ParseException e){ r="null"; } out.append("["+q(g[0])+","+q(g[i]).replace("\t","\\t")+","+r+"]"); } }
  out.append("],\n\"bad\":["); first=true;
  for(String p:new String[]{"b","yyyy-nn","'open","XXXX","yyyy-MM-ddT"}){ String r; try { new SimpleDateFormat(p,Locale.US); r="ok"; } catch(IllegalArgumentException e){ r=e.getMessage(); } if(!first)out.append(","); first=false; out.append("["+q(p)+","+q(r)+"]"); }
  out.append("]}\n"); System.out.print(out); } }
